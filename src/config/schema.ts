/** Questions about the table of keys. */
import { z } from 'zod';
import { infoOf, type KeyInfo, type SectionInfo, sectionInfoOf } from './key.ts';
import { schema } from './keys.ts';

/** A place in the configuration: keys, and indexes of lists. */
export type KeyPath = readonly (string | number)[];

/** The schema at `path`, without its default; undefined where there is none. */
export function schemaAt(path: KeyPath): z.core.$ZodType | undefined {
  let here: z.core.$ZodType | undefined = schema;
  for (const step of path) {
    if (here instanceof z.ZodObject && typeof step === 'string' && Object.hasOwn(here.shape, step)) {
      here = unwrap(here.shape[step]);
    } else if (here instanceof z.ZodArray && typeof step === 'number') here = here.element;
    else return undefined;
  }
  return here;
}

function unwrap(type: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  return type instanceof z.ZodPrefault || type instanceof z.ZodOptional || type instanceof z.ZodExactOptional
    ? type.unwrap()
    : type;
}

/** The keys that may stand in the mapping at `path`; none where it is no mapping. */
export function keysAt(path: KeyPath): string[] {
  const here = schemaAt(path);
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
}

/** The paths of every value outside `routes`, such as `['keepalive', 'ping_interval']`. */
export function valuePaths(parent: readonly string[] = []): string[][] {
  return keysAt(parent).flatMap((key) => {
    const path = [...parent, key];
    if (key === 'routes') return [];
    return keysAt(path).length > 0 ? valuePaths(path) : [path];
  });
}

/** Does any key or section go by this name? */
export function isKeyName(name: string): boolean {
  return [...valuePaths().flat(), 'routes', ...keysAt(['routes', 0])].includes(name);
}

/** What is known of the key at `path`; undefined where there is none, or a section. */
export function infoAt(path: KeyPath): KeyInfo | undefined {
  const type = schemaAt(path);
  return type && infoOf(type);
}

/** What is known of the section at `path`; undefined where there is none, or a value. */
export function sectionAt(path: KeyPath): SectionInfo | undefined {
  const type = schemaAt(path);
  return type && sectionInfoOf(type);
}

/** The default of the value at `path` as it would be written, such as `10s`; undefined when it has none. */
export function defaultAt(path: readonly string[]): unknown {
  const parent = schemaAt(path.slice(0, -1));
  const field: unknown = parent instanceof z.ZodObject ? parent.shape[path.at(-1) ?? ''] : undefined;
  return field instanceof z.ZodPrefault ? field.def.defaultValue : undefined;
}
