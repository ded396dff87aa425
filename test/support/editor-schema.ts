/** `config.schema.json`, a JSON Schema by which editors complete and check a configuration, written from `src/config/keys.ts`. */
import { z } from 'zod';
import { defaultAt, infoAt, keysAt, type KeyPath, schemaAt, sectionAt } from '../../src/config/schema.ts';

/** The whole file. */
export function editorSchema(): string {
  const root = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Configuration of ws-keepalive-proxy',
    ...schemaOf([]),
  };
  return `${JSON.stringify(root, null, 2)}\n`;
}

function schemaOf(path: KeyPath): object {
  const info = infoAt(path);
  if (info !== undefined) {
    const { json } = info.kind;
    const type = info.isList ? { anyOf: [json, { type: 'array', items: json }] } : json;
    return { description: info.about, ...type, ...withDefault(path) };
  }
  const description = sectionAt(path)?.about;
  const about = description === undefined ? {} : { description };
  if (schemaAt(path) instanceof z.ZodArray) return { ...about, type: 'array', items: schemaOf([...path, 0]) };
  const keys = keysAt(path);
  const properties = Object.fromEntries(keys.map((key) => [key, schemaOf([...path, key])]));
  // A section whose keys are all commented out has no value.
  const type = path.length === 1 ? ['object', 'null'] : 'object';
  const required = path.at(-2) === 'routes' ? { required: ['upstream'] } : {};
  return { ...about, type, additionalProperties: false, properties, ...required };
}

function withDefault(path: KeyPath): object {
  const fallback = path[0] === 'routes' ? undefined : defaultAt(path.map(String));
  return fallback === undefined ? {} : { default: fallback };
}
