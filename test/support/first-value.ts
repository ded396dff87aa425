/** A Node that does not look at a property once it is set, for uses of what it does not document. */
import { atEnd, type Cleanup } from './cleanup.ts';

/** Until the end of the test objects with this prototype keep the first value of the property: later ones are lost. */
export function keepFirstValue(t: Cleanup, prototype: object, name: string): void {
  const values = new WeakMap<object, unknown>();
  Object.defineProperty(prototype, name, {
    configurable: true,
    get(this: object): unknown {
      return values.get(this);
    },
    set(this: object, value: unknown) {
      if (!values.has(this)) values.set(this, value);
    },
  });
  atEnd(t, () => {
    Reflect.deleteProperty(prototype, name);
  });
}
