// A text field with labels to choose from: by digit, by first letters, with the arrow keys, or by a click.

import { make } from "./view.js";

const DIGITS = "1234567890";
// With more labels, only those that match are listed.
const MANY = 24;

export class Choices {
  chosen = null;
  labels = [];

  /** `onClick` gets the label that was clicked. */
  constructor(input, list, onClick) {
    this.input = input;
    this.list = list;
    input.addEventListener("input", () => this.match());
    list.addEventListener("click", ({ target }) => target.closest("li") && onClick(target.closest("li").dataset.label));
  }

  setLabels(labels) {
    this.labels = labels;
    this.list.classList.toggle("many", labels.length > MANY);
    this.choose("");
  }

  /** Choose this label as if it had been typed. */
  choose(label) {
    this.input.value = label;
    this.match();
  }

  /** Choose what the digit or the arrow stands for; returns whether the key is one. */
  press(key) {
    if (!this.input.value && key.length === 1 && DIGITS.includes(key)) {
      this.mark(this.labels[DIGITS.indexOf(key)] ?? null);
      return true;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (step) this.move(step);
    return Boolean(step);
  }

  move(step) {
    const listed = Array.from(this.list.querySelectorAll(":not(.faint)[role=option]"), (option) => option.dataset.label);
    const start = step < 0 && this.chosen === null ? 0 : listed.indexOf(this.chosen);
    this.mark(listed[(start + step + listed.length) % listed.length]);
  }

  /** Choose the first label that starts with the text; a text that is no label is listed as a new one. */
  match() {
    const text = this.input.value.trim();
    const lower = text.toLowerCase();
    const matches = (label) => label.toLowerCase().startsWith(lower);
    const known = this.labels.find((label) => label.toLowerCase() === lower);
    const options = this.labels.map((label, place) => this.option(label, DIGITS[place] ?? "", place, !matches(label)));
    if (text && known === undefined) options.push(this.option(text, "new", this.labels.length, false));
    this.list.replaceChildren(...options);
    this.mark(text ? (known ?? this.labels.find(matches) ?? text) : null);
  }

  option(label, hint, place, faint) {
    const option = make("li", { id: `choice-${place}`, role: "option", className: faint ? "faint" : "" });
    option.dataset.label = label;
    option.append(make("kbd", { ariaHidden: "true" }, hint), label);
    return option;
  }

  mark(label) {
    this.chosen = label;
    this.input.removeAttribute("aria-activedescendant");
    for (const option of this.list.children) {
      option.ariaSelected = String(option.dataset.label === label);
      if (option.dataset.label !== label) continue;
      this.input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }
  }
}
