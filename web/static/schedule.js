// Styles over time: from when on which style is painted. The gallery sets that of the selected row.
import { clock, secondsOf, titleOf } from "./words.js";

const STEP_S = 10;
const DEFAULT_FADE_S = 1;
const LATEST_S = 360_000;
const $ = (id) => document.getElementById(id);

export class Schedule extends EventTarget {
  // Length of the video that is to be painted; NaN where it is not known.
  seconds = NaN;
  #rows = [];
  #selected;
  #refused = false;

  constructor(styles, style) {
    super();
    this.styles = styles;
    this.#select(this.#append(style));
    $("add-change").addEventListener("click", () => this.#add());
    $("fade").addEventListener("change", () => this.#changed());
  }

  // The style of the selected row, as the gallery sets and shows it.
  get style() {
    return this.#selected.style;
  }

  set style(style) {
    this.#selected.style = style;
    this.#show();
  }

  // Which styles are painted when, in the words of the API.
  get request() {
    if (this.#rows.length === 1) return { style: this.style };
    const style = this.#rows.map((row) => `${row.style}@${timeOf(row)}`).join(",");
    const changes = this.#rows.some((row, place) => place && row.style !== this.#rows[place - 1].style);
    return changes && $("fade").value ? { style, fade: $("fade").value } : { style };
  }

  // The same for a single picture: that of the selected row once its fade is over.
  get manner() {
    if (this.#rows.length === 1) return this.request;
    const fade = this.#selected.time ? Number($("fade").value || DEFAULT_FADE_S) : 0;
    const at = secondsOf(timeOf(this.#selected)) + fade;
    return { ...this.request, at: at <= LATEST_S ? at : 0 };
  }

  // Says beneath the rows why they cannot be painted; null where they can.
  refuse(words) {
    this.#refused = words !== null;
    $("over-time-trouble").hidden = !this.#refused;
    $("over-time-trouble").textContent = words ?? "";
    this.#show();
  }

  // Whether there is more than one style, so that what is refused is about their times.
  get changes() {
    return this.#rows.length > 1;
  }

  #rises(row) {
    const before = this.#rows[this.#rows.indexOf(row) - 1];
    return secondsOf(timeOf(row)) > secondsOf(timeOf(before));
  }

  #add() {
    const row = this.#append(this.style, clock(this.#nextTime()));
    this.#select(row);
    row.time.select();
    this.#changed();
  }

  // A while after the last one, and within the video.
  #nextTime() {
    const last = secondsOf(timeOf(this.#rows.at(-1))) || 0;
    const next = last + STEP_S;
    if (!(next >= this.seconds)) return next;
    return Math.max(Math.floor((last + this.seconds) / 2), Math.floor(last) + 1);
  }

  #remove(row) {
    const place = this.#rows.indexOf(row);
    this.#rows.splice(place, 1);
    row.element.remove();
    const neighbour = this.#rows[place - 1];
    if (this.#selected === row) this.#select(neighbour);
    neighbour.radio.focus();
    this.#changed();
  }

  // Without a time it is the first row, which begins at 0.
  #append(style, time) {
    const row = { style, element: document.createElement("div"), radio: document.createElement("input") };
    row.element.className = "cue";
    Object.assign(row.radio, { type: "radio", name: "cue" });
    row.radio.addEventListener("change", () => (this.#select(row), this.#changed()));
    row.title = document.createElement("span");
    const label = document.createElement("label");
    label.append(row.radio, row.title);
    row.element.append(label, ...(time ? this.#controls(row, time) : [firstTime()]));
    this.#rows.push(row);
    $("cues").append(row.element);
    return row;
  }

  #controls(row, time) {
    row.time = document.createElement("input");
    Object.assign(row.time, { type: "text", value: time, autocomplete: "off", spellcheck: false });
    row.time.setAttribute("aria-errormessage", "over-time-trouble");
    row.time.addEventListener("change", () => this.#changed());
    row.time.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      // It would start the painting.
      event.preventDefault();
      this.#changed();
    });
    row.remove = document.createElement("button");
    Object.assign(row.remove, { type: "button", className: "remove", textContent: "✕" });
    row.remove.addEventListener("click", () => this.#remove(row));
    return [row.time, row.remove];
  }

  #select(row) {
    this.#selected = row;
    row.radio.checked = true;
    this.#show();
  }

  #changed() {
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  #show() {
    for (const row of this.#rows) {
      const title = titleOf(row.style, this.styles);
      const time = row.time?.value.trim() ?? "0:00";
      row.title.textContent = title;
      row.radio.ariaLabel = `${title} from ${time}`;
      if (!row.time) continue;
      row.time.ariaLabel = `When ${title} begins`;
      row.time.ariaInvalid = String(this.#refused && !this.#rises(row));
      row.remove.ariaLabel = `Remove ${title} from ${time}`;
    }
    const changes = this.#rows.length - 1;
    const from = this.#selected.time?.value.trim() ?? "0:00";
    const when = Number.isNaN(secondsOf(from)) ? "Style of the selected row" : `Style from ${from} on`;
    $("style-title").textContent = changes ? when : "Style";
    const count = changes ? `${changes} change${changes > 1 ? "s" : ""}` : "one style throughout";
    $("over-time-words").textContent = this.#refused ? `${count}, see inside` : count;
    $("fade-label").hidden = !changes;
  }
}

function timeOf(row) {
  return row.time ? row.time.value.trim() : "0s";
}

function firstTime() {
  const time = document.createElement("span");
  time.className = "begin";
  time.textContent = "0:00";
  return time;
}
