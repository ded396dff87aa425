/** Small helpers for the document. What comes from outside is only ever text. */

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no element ${id}`);
  return element;
}

/** Changes nothing when nothing has changed, so that selections stay. @param {Element | null} element @param {string} value */
export function text(element, value) {
  if (element !== null && element.textContent !== value) element.textContent = value;
}

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {string} [value]
 */
export function make(tag, className, value) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (value !== undefined) element.textContent = value;
  return element;
}

/** @param {string} tag @param {Readonly<Record<string, string | number>>} attributes @param {string} [value] */
export function drawn(tag, attributes, value) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, each] of Object.entries(attributes)) element.setAttribute(name, String(each));
  if (value !== undefined) element.textContent = value;
  return element;
}
