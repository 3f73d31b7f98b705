// Sends a video in blocks: straight to storage by a signed link where that is possible, else through
// the studio. A broken connection costs a block, and a closed page nothing that was sent.
import { call, get, patiently, Refused } from "./api.js";

const AT_ONCE = 3;
const BAD_REQUEST = 400;
const FORBIDDEN = 403;
const NOT_FOUND = 404;
// A browser does not say why a request to another origin failed, such as that its link has expired.
const UNSAID = 0;

let before = Promise.resolve();
let unsent = 0;

// Returns { job, video }. `onProgress` gets the share that was sent, 0 to 1.
//
// Videos are sent one after the other: the first is painted while the second is on its way, and of the six
// connections that a browser has to a studio some are left for what is watched. While there are any,
// the browser asks before it closes the page.
export function upload(file, request, onProgress, signal) {
  if (unsent++ === 0) addEventListener("beforeunload", ask);
  const sent = before.then(() => send(file, request, onProgress, signal));
  before = sent.catch(() => {}).finally(() => {
    if (--unsent === 0) removeEventListener("beforeunload", ask);
  });
  return sent;
}

function ask(leaving) {
  leaving.preventDefault();
}

async function send(file, request, onProgress, signal) {
  signal.throwIfAborted();
  const key = `upload ${file.name} ${file.size} ${file.lastModified} ${JSON.stringify(request)}`;
  if (!file.size) throw new Refused(BAD_REQUEST, "The file is empty.");
  const opened = (await resumed(key, signal)) ?? (await begun(file, request, signal));
  // A link is a secret, and it expires: a page that goes on asks for another.
  keep(key, JSON.stringify({ ...opened, there: undefined, link: undefined }));
  const missing = [...Array(opened.blocks).keys()].filter((n) => !opened.there.has(n));
  const way = new Way(opened, signal);
  let sent = opened.blocks - missing.length;
  onProgress(sent / opened.blocks);
  const sendSome = async () => {
    for (let n = missing.shift(); n !== undefined; n = missing.shift()) {
      const block = file.slice(n * opened.block_bytes, (n + 1) * opened.block_bytes);
      await patiently(() => way.send(n, block), signal, 600);
      onProgress(++sent / opened.blocks);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, sendSome));
    const complete = `/api/uploads/${opened.upload}/complete`;
    const done = await patiently(async () => (await call(complete, { method: "POST" })).json(), signal);
    keep(key, null);
    return done;
  } catch (error) {
    // The others that send must not go on with what nobody completes.
    missing.length = 0;
    if (signal.aborted) keep(key, null);
    throw error;
  }
}

async function begun(file, request, signal) {
  const json = { ...request, name: file.name, size: file.size };
  const answer = await patiently(() => call("/api/uploads", { method: "POST", json, signal }), signal);
  return { ...(await answer.json()), there: new Set() };
}

async function resumed(key, signal) {
  const kept = recalled(key);
  if (!kept) return null;
  try {
    const { blocks, link } = await patiently(() => get(`/api/uploads/${kept.upload}`, { signal }), signal);
    return { ...kept, link, there: new Set(blocks) };
  } catch (error) {
    // It is too old, or of another studio or user.
    if (error.status === NOT_FOUND) return null;
    throw error;
  }
}

// What the browser keeps for the page. Where it may not keep anything, uploads begin anew.
function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Full, or forbidden.
  }
}

function recalled(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

// How blocks get to storage. The link is given up where it has never worked, and renewed where it has.
class Way {
  #address;
  #link;
  #proven = false;
  #signal;

  constructor({ upload, link }, signal) {
    this.#address = `/api/uploads/${upload}`;
    this.#link = link;
    this.#signal = signal;
  }

  async send(n, block) {
    // A file that was changed or removed meanwhile cannot be read: that will not pass.
    const body = await block.arrayBuffer().catch(() => {
      throw new Refused(BAD_REQUEST, "The file cannot be read any more.");
    });
    const put = { method: "PUT", body, signal: this.#signal };
    if (this.#link && (await this.#straight(n, put))) return;
    await call(`${this.#address}/${n}`, put);
  }

  // True when storage has the block.
  async #straight(n, put) {
    const id = btoa(String(n).padStart(5, "0"));
    try {
      await call(`${this.#link}&comp=block&blockid=${encodeURIComponent(id)}`, put);
      this.#proven = true;
      return true;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (!this.#proven) this.#link = null;
      else if (error.status === FORBIDDEN || error.status === UNSAID) this.#link = (await get(this.#address)).link;
      else throw error;
      return false;
    }
  }
}
