// Follows the studio's events for as long as the page is open.
import { call } from "./api.js";

const SOONEST_MS = 1000;
const LATEST_MS = 15_000;
const KINDS = ["job", "gone", "ready", "away"];
const UNAUTHORIZED = 401;

// Calls `on.open()` whenever the stream begins anew, `on.lost(words)` with a sentence when it breaks, and
// `on.job(data)` and so on for its events.
export function follow(path, on, wait = SOONEST_MS) {
  // Of HTTP/1.1 a browser has six connections for all its tabs: one that nobody sees leaves them to others.
  if (document.hidden) {
    when(() => !document.hidden, () => follow(path, on));
    return;
  }
  const events = new EventSource(path);
  const here = new AbortController();
  const stay = when(() => document.hidden, () => {
    events.close();
    here.abort();
    follow(path, on);
  });
  let next = Math.min(2 * wait, LATEST_MS);
  events.addEventListener("open", () => {
    [wait, next] = [SOONEST_MS, SOONEST_MS];
    on.open();
  });
  for (const kind of KINDS) events.addEventListener(kind, (event) => on[kind](JSON.parse(event.data)));
  const lose = async () => {
    // Browsers try again as often as they like, and give up when the answer is no stream, as a proxy's is
    // while the studio restarts: the page does it in one way, and not all pages at the same moment.
    events.close();
    here.abort();
    stay();
    on.lost(await whyNot());
    setTimeout(() => follow(path, on, next), wait * (0.75 + Math.random() / 2));
  };
  events.addEventListener("error", lose);
  // By another page of this browser: its studio may not be the instance that sends these events.
  addEventListener("signed-out", lose, { signal: here.signal });
}

// Calls `act` once, when the page has become what `is` asks for; what is returned prevents that.
function when(is, act) {
  const leaving = new AbortController();
  const look = () => {
    if (!is()) return;
    leaving.abort();
    act();
  };
  document.addEventListener("visibilitychange", look, { signal: leaving.signal });
  return () => leaving.abort();
}

// Events do not say why there are none, but another request is told.
async function whyNot() {
  const status = await call("/api/session").then(() => null, (error) => error.status);
  if (status === UNAUTHORIZED) return "You are signed out. Reload the page to sign in again.";
  return "The studio does not answer. Trying again …";
}
