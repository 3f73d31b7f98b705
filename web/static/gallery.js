// The styles, each painted on the user's own frame, and how strongly and with which colours to paint.
import { painted } from "./pictures.js";
import { titleOf } from "./words.js";

const AT_ONCE = 2;
const MOST_MIXED = 4;
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
      $("strength-value").textContent = `${event.target.value} %`;
    });
    for (const id of ["strength", "preserve", "brush"]) {
      $(id).addEventListener("change", () => (this.#paintAll(), this.#changed()));
    }
    this.#showWeights();
  }

  // How the next videos are to be painted, in the words of the API.
  get request() {
    const request = { style: this.#style() };
    if ($("strength").value !== "100") request.strength = String($("strength").value / 100);
    if ($("preserve").checked) request.preserve_color = "true";
    if ($("brush").value) request.brush = $("brush").value;
    if ($("duration").value) request.duration = $("duration").value;
    if ($("side").value) request.max_side = $("side").value;
    return request;
  }

  // The same, as far as it shows in a single picture.
  get manner() {
    const { max_side, duration, ...manner } = this.request;
    return manner;
  }

  get words() {
    return titleOf(this.#style(), this.styles);
  }

  // Paints every style on a picture.
  show(frame) {
    this.#frame = frame;
    return this.#paintAll();
  }

  #style() {
    const parts = [...this.#weights].filter(([, weight]) => weight > 0);
    if (parts.length === 1) return parts[0][0];
    return parts.map(([name, weight]) => `${name}:${weight / 100}`).join(",");
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
    const painter = document.createElement("small");
    painter.textContent = [style.painter, style.year].filter(Boolean).join(", ");
    card.append(input, picture, title, painter);
    this.#pictures.set(style.name, image);
    return card;
  }

  #choose(input) {
    if (!$("mix").checked) this.#weights.clear();
    if (input.checked) this.#weights.set(input.value, 50);
    else if (this.#weights.size > 1) this.#weights.delete(input.value);
    else input.checked = true;
    if (this.#weights.size > MOST_MIXED) {
      this.#weights.delete(input.value);
      input.checked = false;
    }
    this.#showWeights();
    this.#changed();
  }

  #mix() {
    const mixed = $("mix").checked;
    if (!mixed) this.#weights = new Map([[this.#weights.keys().next().value, 50]]);
    for (const input of $("cards").querySelectorAll("input")) {
      input.type = mixed ? "checkbox" : "radio";
      input.checked = this.#weights.has(input.value);
    }
    this.#showWeights();
    this.#changed();
  }

  #showWeights() {
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
      const total = [...this.#weights.values()].reduce((a, b) => a + b);
      [...$("weights").querySelectorAll("output")].forEach((one, place) => {
        const share = [...this.#weights.values()][place] / total;
        one.textContent = `${Math.round(share * 100)} %`;
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
    } catch (error) {
      if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
