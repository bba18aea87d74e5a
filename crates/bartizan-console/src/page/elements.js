// Makes elements, and changes no more of them than there is to change.

/** Makes an element: `make("li.chip", "text", child)`. */
export function make(kind, ...inside) {
  const [name, ...classes] = kind.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  element.append(...inside);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element of a picture. */
export function shape(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}

/** Sets a text if it is another: what is the same is not read aloud again, and keeps a selection. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, or takes it away. */
export function mark(element, name, value) {
  if (value === "" || value === false || value === undefined || value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export const hide = (element, isHidden) => { if (element.hidden !== isHidden) element.hidden = isHidden; };

/**
 * Makes the children of `parent` those of `items`, in their order. An element stays the same as long as its key is there, so that
 * neither focus nor place is lost.
 */
export function keep(parent, items, key, born, drawn) {
  const children = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => [String(key(item)), item]);
  const keys = new Set(wanted.map(([name]) => name));
  for (const [name, child] of children) if (!keys.has(name)) child.remove();
  let next = parent.firstElementChild;
  for (const [name, item] of wanted) {
    const child = children.get(name) ?? born(item);
    if (child.dataset.key !== name) child.dataset.key = name;
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
    drawn?.(child, item);
  }
}

export const part = (element, selector) => element.querySelector(selector);
export const at = (id) => document.getElementById(id);
