// The styles, each painted on the user's own frame, and how strongly and with which colours to paint.
import { painted } from "./pictures.js";
import { codecOf, plays, titleOf } from "./words.js";

const AT_ONCE = 2;
const MOST_MIXED = 4;
// What does not show in a single picture: names of the API, and the page's controls.
const OUTPUT = { duration: "duration", max_side: "side", quality: "quality", codec: "codec" };
const $ = (id) => document.getElementById(id);

export class Gallery extends EventTarget {
  #weights = new Map();
  #frame = null;
  #painting = new AbortController();
  #pictures = new Map();

  constructor(styles, chosen) {
    super();
    this.styles = styles;
    this.#weights.set(chosen, 50);
    $("cards").append(...styles.map((style) => this.#card(style)));
    $("mix").addEventListener("change", () => this.#mix());
    $("strength").addEventListener("input", (event) => {
      $("strength-value").textContent = `${event.target.value}\u00a0%`;
    });
    for (const id of ["strength", "preserve", "brush"]) {
      $(id).addEventListener("change", () => (this.#paintAll(), this.#changed()));
    }
    $("output").addEventListener("change", () => this.#showOutput());
    this.#showWeights();
    this.#showOutput();
  }

  // How the next videos are to be painted, in the words of the API.
  get request() {
    const request = { style: this.style };
    if ($("strength").value !== "100") request.strength = String($("strength").value / 100);
    if ($("preserve").checked) request.preserve_color = "true";
    if ($("brush").value) request.brush = $("brush").value;
    for (const [name, id] of Object.entries(OUTPUT)) if ($(id).value) request[name] = $(id).value;
    return request;
  }

  // The same, as far as it shows in a single picture.
  get manner() {
    return Object.fromEntries(Object.entries(this.request).filter(([name]) => !(name in OUTPUT)));
  }

  get words() {
    const title = titleOf(this.style, this.styles);
    const style = this.styles.find((one) => one.name === this.style);
    return style ? `${title} · ${byline(style)}` : title;
  }

  // Paints every style on a picture.
  show(frame) {
    this.#frame = frame;
    return this.#paintAll();
  }

  // The settings of the result that are not the usual ones, in words beside their heading.
  #showOutput() {
    const changed = Object.values(OUTPUT).filter((id) => $(id).value).map((id) => $(id).selectedOptions[0].text.split(",")[0]);
    $("output-words").textContent = changed.join(" · ") || "whole video, as it is";
    const codec = $("codec").value || "h264";
    $("codec-note").hidden = plays(codec);
    $("codec-note").textContent = `This browser cannot play ${codecOf(codec)}: it shows a picture of the result, and the video as a download.`;
  }

  // The chosen style, or a blend, in the words of the API.
  get style() {
    const names = [...this.#weights.keys()];
    if (names.length === 1) return names[0];
    const shares = this.#shares();
    return names.map((name, place) => `${name}:${shares[place]}`).join(",");
  }

  set style(style) {
    const parts = style.split(",").map((part) => part.split(":"));
    this.#weights = new Map(parts.map(([name, weight = 0.5]) => [name, Math.round(weight * 100)]));
    $("mix").checked = parts.length > 1;
    this.#showChoice();
  }

  // What each chosen style has in the mixture, in hundredths.
  #shares() {
    const weights = [...this.#weights.values()];
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => Math.round((100 * weight) / total) / 100);
  }

  #card(style) {
    const card = document.createElement("label");
    card.className = "card";
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "style";
    input.value = style.name;
    input.checked = this.#weights.has(style.name);
    input.addEventListener("change", () => this.#choose(input));
    const picture = document.createElement("span");
    picture.className = "picture";
    const image = document.createElement("img");
    image.alt = "";
    picture.append(image);
    const title = document.createElement("b");
    title.textContent = style.title;
    card.title = [style.title, byline(style)].join(", ");
    card.append(input, picture, title);
    this.#pictures.set(style.name, image);
    return card;
  }

  #choose(input) {
    if (!$("mix").checked) this.#weights.clear();
    if (input.checked) this.#weights.set(input.value, 50);
    else if (this.#weights.size > 1) this.#weights.delete(input.value);
    else input.checked = true;
    this.#showWeights();
    this.#changed();
  }

  #mix() {
    if (!$("mix").checked) this.#weights = new Map([[this.#weights.keys().next().value, 50]]);
    this.#showChoice();
    this.#changed();
  }

  #showChoice() {
    for (const input of $("cards").querySelectorAll("input")) {
      input.type = $("mix").checked ? "checkbox" : "radio";
      input.checked = this.#weights.has(input.value);
    }
    this.#showWeights();
  }

  #showWeights() {
    const full = this.#weights.size >= MOST_MIXED;
    $("mix-full").hidden = !full;
    for (const input of $("cards").querySelectorAll("input")) input.disabled = full && !input.checked;
    $("weights").hidden = this.#weights.size < 2;
    $("weights").replaceChildren(...[...this.#weights].map(([name, weight]) => this.#slider(name, weight)));
  }

  #slider(name, weight) {
    const slider = document.createElement("div");
    slider.className = "slider";
    const title = document.createElement("label");
    title.textContent = titleOf(name, this.styles);
    title.htmlFor = `weight-${name}`;
    const output = document.createElement("output");
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: 5, max: 100, step: 5, value: weight, id: `weight-${name}` });
    const tell = () => {
      this.#weights.set(name, Number(input.value));
      const shares = this.#shares();
      [...$("weights").querySelectorAll("output")].forEach((one, place) => {
        one.textContent = `${Math.round(shares[place] * 100)}\u00a0%`;
      });
    };
    input.addEventListener("input", tell);
    input.addEventListener("change", () => this.#changed());
    slider.append(title, output, input);
    queueMicrotask(tell);
    return slider;
  }

  async #paintAll() {
    if (!this.#frame) return;
    this.#painting.abort();
    this.#painting = new AbortController();
    const { signal } = this.#painting;
    const { style, ...manner } = this.manner;
    const waiting = this.styles.map((style) => style.name);
    const paintSome = async () => {
      for (let name = waiting.shift(); name && !signal.aborted; name = waiting.shift()) {
        const image = this.#pictures.get(name);
        const url = await painted(this.#frame, { ...manner, style: name }, signal);
        if (image.src) URL.revokeObjectURL(image.src);
        image.src = url;
        image.classList.add("shown");
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, paintSome));
      performance.mark("gallery painted");
      this.dispatchEvent(new Event("painted"));
    } catch (error) {
      if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function byline({ painter, year }) {
  return [painter, year].filter(Boolean).join(", ");
}
