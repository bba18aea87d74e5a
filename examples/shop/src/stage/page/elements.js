// Makes elements, and changes no more of them than there is to change.
import { figure, label } from "./words.js";

/** Makes an element: `make("li.chip", "text", child)`. */
export function make(kind, ...inside) {
  const [name, ...classes] = kind.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  element.append(...inside);
  return element;
}

/** Makes an element of a picture: `shape("path.lever", { d: "M0 0" }, child)`. */
export function shape(kind, attributes = {}, ...inside) {
  const [name, ...classes] = kind.split(".");
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  element.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

/** Sets a text if it is another: what is the same is not read aloud again, and keeps a selection. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, or takes it away. */
export function mark(element, name, value) {
  if (value === "" || value === false || value === undefined || value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Makes the children of `parent` those of `items`, in their order. An element stays the same as long as its key is there, so that
 * neither focus nor place is lost.
 */
export function keep(parent, items, key, born, drawn) {
  const twins = new Map(), children = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const name = key(item), nth = twins.get(name) ?? 0;
    twins.set(name, nth + 1);
    return [`${name}#${nth}`, item];
  });
  const ids = new Set(wanted.map(([id]) => id));
  for (const [id, child] of children) if (!ids.has(id)) child.remove();
  let next = parent.firstElementChild;
  for (const [id, item] of wanted) {
    const child = children.get(id) ?? born(item);
    child.dataset.key = id;
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
    drawn(child, item);
  }
}

export const part = (element, selector) => element.querySelector(selector);
export const name = (item) => item.name;

/** The numbers that are not zero, as short texts. */
export const told = (numbers) => Object.entries(numbers).filter(([, number]) => number).map(([key, number]) => `${label(key)} ${figure(key, number)}`);

/** The numbers of a handle that are not zero, as a list of pairs. */
export function facts(list, numbers, but = []) {
  const pairs = Object.entries(numbers).filter(([key, number]) => number && !but.includes(key));
  keep(list, pairs, ([key]) => key, ([key]) => make("div", make("dt", label(key)), make("dd")), (pair, [key, number]) => {
    write(part(pair, "dd"), figure(key, number));
  });
}
