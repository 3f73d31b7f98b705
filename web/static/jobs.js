// The list of jobs: kept true by the studio's events, one card a job.
import { call, get } from "./api.js";
import { follow } from "./events.js";
import { intoSight } from "./sight.js";
import { codecOf, momentOf, shareOf, stateOf, titleOf } from "./words.js";

const PAGE = 30;
// So long a picture that is not there yet is not asked for again.
const PICTURE_AGAIN_MS = 10_000;
const NOTHING_YET = "Your videos appear here while they are being painted, and stay until you delete them.";
const NOTHING_MATCHES = "None of your paintings is of this kind.";

export class Jobs extends EventTarget {
  #jobs = new Map();
  #cards = new Map();
  #uploads = new Map();
  // Why what was ordered last for a job was not done, until its state changes or something else is ordered.
  #refusals = new Map();
  #count = 0;
  #fresh = null;
  #shown = PAGE;
  #selected = null;

  constructor(list, empty, more, filter, away, announce) {
    super();
    Object.assign(this, { list, empty, more, filter, away, announce, styles: [] });
    more.addEventListener("click", () => this.#showMore());
    filter.addEventListener("change", () => this.#render());
  }

  follow() {
    follow("/api/events", {
      open: () => ((this.#fresh = new Set()), this.#isAway(null)),
      job: (job) => this.#take(job),
      gone: (id) => this.#drop(id),
      away: () => this.#isAway("Storage does not answer. Trying again …"),
      lost: (words) => this.#isAway(words),
      ready: () => this.#ready(),
    });
  }

  // Storage answers, and the page knows all jobs. After a break the studio tells them anew: those that it
  // did not tell are gone.
  #ready() {
    const fresh = this.#fresh ?? new Set(this.#jobs.keys());
    this.#fresh = null;
    this.#isAway(null);
    for (const id of [...this.#jobs.keys()]) if (!fresh.has(id)) this.#drop(id);
    this.#render();
    this.dispatchEvent(new Event("ready"));
  }

  find(id) {
    return this.#jobs.get(id);
  }

  select(id) {
    this.#selected = id;
    for (const [job, card] of this.#cards) card.classList.toggle("shown", job === id);
  }

  // A video that is on its way; returns what tells of its progress.
  uploading(file, cancel) {
    // Not of crypto: pages that came without TLS have no randomUUID.
    const id = `upload ${++this.#count}`;
    const entry = { name: file.name, share: 0, words: "Uploading", cancel };
    this.#uploads.set(id, entry);
    this.#render();
    return {
      progress: (share) => ((entry.share = share), this.#renderUpload(id)),
      failed: (words) => {
        Object.assign(entry, { words, bad: true });
        this.announce.textContent = `${file.name}: ${words}`;
        this.#renderUpload(id);
      },
      done: (job) => {
        entry.job = job;
        entry.words = "Waiting for the painter";
        entry.share = 1;
        if (this.#jobs.has(job)) this.#uploads.delete(id);
        this.#render();
      },
    };
  }

  // Shows where a new upload's progress is: on narrow pages that is far below the button.
  reveal() {
    intoSight(this.list.firstElementChild);
  }

  #take(job) {
    const before = this.#jobs.get(job.id);
    this.#jobs.set(job.id, job);
    if (before?.state !== job.state) this.#refusals.delete(job.id);
    this.#fresh?.add(job.id);
    for (const [id, entry] of this.#uploads) if (entry.job === job.id) this.#uploads.delete(id);
    if (before && !before.ended && job.ended) {
      this.announce.textContent = `${job.video}: ${stateOf(job)}`;
    }
    if (this.#fresh === null) this.#render();
    this.dispatchEvent(new CustomEvent("change", { detail: job }));
  }

  #drop(id) {
    this.#jobs.delete(id);
    this.#refusals.delete(id);
    this.#render();
    this.dispatchEvent(new CustomEvent("gone", { detail: id }));
  }

  // Who deleted by the keyboard goes on at the neighbour, and not at the page's beginning.
  #dropFocused(id) {
    const card = this.#cards.get(id);
    const neighbour = card?.nextElementSibling ?? card?.previousElementSibling;
    const focused = card?.contains(document.activeElement);
    this.#drop(id);
    if (focused) (neighbour?.querySelector(".thumb") ?? this.filter).focus();
  }

  #isAway(words) {
    this.away.hidden = words === null;
    this.away.textContent = words ?? "";
  }

  // The button is below what it adds, or gone: the keyboard goes on at the first that was added.
  #showMore() {
    const last = this.list.lastElementChild;
    this.#shown += PAGE;
    this.#render();
    last?.nextElementSibling?.querySelector(".thumb").focus();
  }

  #visible() {
    const kinds = {
      "": () => true,
      open: (job) => !job.ended,
      done: (job) => job.result !== null,
      failed: (job) => job.ended && job.result === null,
    };
    return [...this.#jobs.values()]
      .filter(kinds[this.filter.value])
      .sort((a, b) => (a.started_at < b.started_at ? 1 : -1));
  }

  #render() {
    const jobs = this.#visible();
    const page = jobs.slice(0, this.#shown);
    this.empty.hidden = jobs.length + this.#uploads.size > 0;
    this.empty.textContent = this.filter.value ? NOTHING_MATCHES : NOTHING_YET;
    const further = Math.min(PAGE, jobs.length - this.#shown);
    this.more.hidden = further <= 0;
    this.more.textContent = `Show ${further} more`;
    const wanted = [
      ...[...this.#uploads].reverse().map(([id, entry]) => this.#uploadCard(id, entry)),
      ...page.map((job) => this.#jobCard(job)),
    ];
    this.list.hidden = !wanted.length;
    const kept = new Set(wanted);
    for (const [id, card] of this.#cards) {
      if (!kept.has(card)) {
        card.remove();
        this.#cards.delete(id);
      }
    }
    // Cards are moved only where the order changed: a moved one would lose the keyboard's focus.
    wanted.forEach((card, place) => {
      if (this.list.children[place] !== card) this.list.insertBefore(card, this.list.children[place] ?? null);
    });
  }

  #renderUpload(id) {
    const entry = this.#uploads.get(id);
    if (entry) this.#uploadCard(id, entry);
  }

  #uploadCard(id, entry) {
    const card = this.#cards.get(id) ?? this.#newCard(id, entry.name);
    const sending = entry.share < 1 && !entry.bad;
    card.classList.toggle("open", !entry.bad);
    card.classList.toggle("failed", Boolean(entry.bad));
    this.#tell(card, sending ? `${entry.words} · ${Math.floor(entry.share * 100)}\u00a0%` : entry.words, entry.bad);
    this.#fill(card, entry.share, null, false);
    card.querySelector(".bar").hidden = Boolean(entry.bad);
    const stop = ["Cancel", () => (entry.cancel(), this.#forgetUpload(id))];
    const close = ["Dismiss", () => this.#forgetUpload(id)];
    this.#act(card, entry.name, entry.bad ? [close] : sending ? [stop] : []);
    return card;
  }

  #forgetUpload(id) {
    this.#uploads.delete(id);
    this.#render();
  }

  #jobCard(job) {
    const card = this.#cards.get(job.id) ?? this.#newCard(job.id, job.video, this.#mannerOf(job));
    card.classList.toggle("lossy", job.state === "degraded");
    card.classList.toggle("shown", job.id === this.#selected);
    card.classList.toggle("open", !job.ended);
    card.classList.toggle("failed", job.ended && job.result === null);
    const refusal = this.#refusals.get(job.id);
    this.#tell(card, refusal ?? stateOf(job), Boolean(refusal || job.error));
    this.#fill(card, shareOf(job), job.frames ? job.frames_split / job.frames : null, !job.ended);
    card.querySelector(".bar").hidden = job.ended;
    if (job.frames_painted) this.#picture(card, job);
    const remove = ["Delete", () => this.#order(job, "DELETE", "")];
    const cancel = ["Cancel", () => this.#order(job, "POST", "/cancel")];
    this.#act(card, job.video, job.ended ? [remove] : [cancel], job.result && job);
    return card;
  }

  #mannerOf(job) {
    const codec = job.codec === "h264" ? [] : [codecOf(job.codec)];
    const began = new Date(job.started_at);
    const when = element("time", "", momentOf(began));
    when.dateTime = began.toISOString();
    const manner = element("p", "job-manner");
    manner.append(element("span", "", [titleOf(job.style, this.styles), ...codec].join(" · ")), " ", when);
    return manner;
  }

  #newCard(id, name, manner = null) {
    const card = element("li", "job");
    const thumb = element("button", "thumb");
    thumb.type = "button";
    thumb.setAttribute("aria-label", `Watch ${name}`);
    thumb.addEventListener("click", () => this.#watch(id));
    const title = element("p", "job-name", name);
    title.title = name;
    const state = element("div", "job-state");
    const bar = element("div", "bar");
    bar.append(element("i", "split"), element("i"));
    state.append(bar, element("span"));
    const text = element("div", "job-text");
    text.append(title, ...(manner ? [manner] : []), state);
    card.append(thumb, text, element("div", "actions"));
    this.#cards.set(id, card);
    return card;
  }

  #watch(id) {
    const job = this.#jobs.get(id);
    if (job) this.dispatchEvent(new CustomEvent("watch", { detail: job }));
  }

  #tell(card, words, bad = false) {
    const state = card.querySelector(".job-state");
    state.classList.toggle("bad", bad);
    if (state.lastElementChild.textContent !== words) state.lastElementChild.textContent = words;
  }

  #fill(card, share, split, open) {
    const [behind, front] = card.querySelectorAll(".bar i");
    card.querySelector(".bar").classList.toggle("unknown", open && share === null);
    if (share !== null) front.style.width = `${share * 100}%`;
    else front.style.removeProperty("width");
    behind.style.width = `${(split ?? 0) * 100}%`;
  }

  #picture(card, job) {
    const thumb = card.querySelector(".thumb");
    if (thumb.dataset.asked) return;
    thumb.dataset.asked = "yes";
    const image = element("img");
    image.alt = "";
    image.loading = "lazy";
    image.addEventListener("load", () => image.classList.add("shown"));
    image.addEventListener("error", () => {
      image.remove();
      setTimeout(() => delete thumb.dataset.asked, PICTURE_AGAIN_MS);
    });
    image.src = `/api/jobs/${job.id}/thumbnail.jpg`;
    thumb.append(image);
  }

  // What can be done with a video; `done` is its job once that has a result. Read out of their place, as in a
  // list of all links, they say which video's they are.
  #act(card, video, orders, done = null) {
    const names = [done ? "Download" : "", ...orders.map(([name]) => name)].join();
    const actions = card.querySelector(".actions");
    if (actions.dataset.names === names) return;
    actions.dataset.names = names;
    const focused = actions.contains(document.activeElement);
    actions.replaceChildren();
    if (done) {
      const link = element("a", "strong", "Download");
      link.ariaLabel = `Download ${video}`;
      link.href = `/api/jobs/${done.id}/result?download`;
      link.download = done.result;
      actions.append(link);
    }
    for (const [name, act] of orders) {
      const button = element("button", "quiet", name);
      button.type = "button";
      button.ariaLabel = `${name} ${video}`;
      button.addEventListener("click", act);
      actions.append(button);
    }
    if (focused) actions.firstElementChild?.focus({ preventScroll: true });
  }

  async #order(job, method, suffix) {
    if (method === "DELETE" && !window.confirm(`Delete the painting of ${job.video}, and its upload?`)) return;
    const { state } = this.#jobs.get(job.id) ?? job;
    this.#refuse(job.id, null);
    try {
      await call(`/api/jobs/${job.id}${suffix}`, { method });
      if (method === "DELETE") this.#dropFocused(job.id);
      else this.#take(await get(`/api/jobs/${job.id}`));
    } catch (error) {
      // If the job has changed meanwhile, what it is now says why.
      if (this.#jobs.get(job.id)?.state === state) this.#refuse(job.id, error.message);
      this.announce.textContent = `${job.video}: ${error.message}`;
    }
  }

  #refuse(id, words) {
    if (words) this.#refusals.set(id, words);
    else this.#refusals.delete(id);
    this.#render();
  }
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
