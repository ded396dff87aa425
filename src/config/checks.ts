/** What the schema cannot say: the input as one tree, where its parts come from, and checks across keys. */
import { z } from 'zod';
import { type ConfigDocument, missingSpace } from './document.ts';
import { defaultRouteName } from './effective.ts';
import type { Problem } from './errors.ts';
import { didYouMean, nearest } from './nearest.ts';
import type { Override } from './overrides.ts';
import type { Config } from './keys.ts';
import { infoAt, isKeyName, type KeyPath, keysAt, schemaAt, valuePaths } from './schema.ts';
import { failureReason, type ReadFile } from './source.ts';

/** File, environment and flags laid over one another. */
export interface Input {
  readonly tree: unknown;
  /** Where the value at `path` was given; with `key`, the place of that key in it. */
  locate(path: KeyPath, key?: string): Pick<Problem, 'file' | 'line' | 'col' | 'path'>;
}

/** Lays `overrides` over the document, later ones on top. A section without content counts as left out. */
export function mergeInput(document: ConfigDocument | null, overrides: readonly Override[]): Input {
  let tree = document === null ? {} : document.tree;
  if (isMapping(tree)) {
    tree = Object.fromEntries(Object.entries(tree).filter(([key, value]) => value !== null || !isSection(key)));
  }
  for (const { path, value } of overrides) tree = withValue(tree, path, value);
  return { tree, locate: (path, key) => locate(document, overrides, path, key) };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSection(key: string): boolean {
  return key === 'routes' || keysAt([key]).length > 0;
}

/** A changed copy: with YAML's aliases, one object can stand in several places. */
function withValue(tree: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  // Where the file has something else than a mapping, that is the problem to report.
  return isMapping(tree) ? { ...tree, [key]: withValue(tree[key] ?? {}, rest, value) } : tree;
}

function locate(
  document: ConfigDocument | null,
  overrides: readonly Override[],
  path: KeyPath,
  key: string | undefined,
): ReturnType<Input['locate']> {
  const dotted = dottedPath(path);
  const override = overrides.findLast(({ path: set }) => set.every((step, index) => path[index] === step));
  if (override !== undefined) return { file: override.file, line: null, col: null, path: override.name };
  const place = document?.locate(path, key) ?? { file: null, line: null, col: null };
  return { ...place, path: key === undefined ? dotted : dottedPath([...path, key]) };
}

/** `routes[0].keepalive.mode`. */
function dottedPath(path: KeyPath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}

/** What zod found, in the operator's words. */
export function describeIssue(issue: z.core.$ZodIssue, input: Input): Problem[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ ...input.locate(path, key), message: unknownKey(path, key) }));
  }
  return [{ ...input.locate(path), message: issue.code === 'invalid_type' ? wrongShape(path, input) : issue.message }];
}

function unknownKey(path: KeyPath, key: string): string {
  const [first, , ...inRoute] = path;
  if (first === 'routes' && infoAt([...inRoute, key]) !== undefined)
    return `is for all routes; write it as ${[...inRoute, key].join('.')} at the top level`;
  const near = nearest(key, keysAt(path));
  // A known key in the wrong place, as after a slip of indentation.
  const elsewhere = valuePaths().find((known) => known.at(-1) === key);
  return `unknown key${didYouMean(near ?? elsewhere?.join('.') ?? null)}`;
}

function wrongShape(path: KeyPath, input: Input): string {
  const [, key = '', value = ''] = /^([a-z_]+):(\S.*)$/s.exec(String(valueAt(input.tree, path))) ?? [];
  if (isKeyName(key)) return missingSpace(key, value);
  if (schemaAt(path) instanceof z.ZodArray) return 'takes a list; start each entry with "- "';
  const [first = 'upstream', second = 'host'] = keysAt(path);
  return `takes keys of its own, each on a line: ${first}, ${second}, ...`;
}

function valueAt(tree: unknown, path: KeyPath): unknown {
  let here = tree;
  for (const step of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return undefined;
    here = (here as Record<string | number, unknown>)[step];
  }
  return here;
}

/** Two routes of one name could not be told apart in logs and metrics. */
export function routeNameProblems(input: Input): Problem[] {
  const routes = valueAt(input.tree, ['routes']);
  if (!Array.isArray(routes)) return [];
  const names = routes.map((_, index) => valueAt(routes, [index, 'name']) ?? defaultRouteName(index));
  return names.flatMap((name, index) => {
    const first = names.indexOf(name);
    if (first === index) return [];
    return [
      { ...input.locate(['routes', index, 'name']), message: `route ${first + 1} has this name too; choose another` },
    ];
  });
}

/** There has to be something to forward to. */
export function upstreamProblems(input: Input, file: string | null): Problem[] {
  if (!isMapping(input.tree)) return [];
  const { upstream, routes = [] } = input.tree;
  if (upstream !== undefined || !isEmptyList(routes)) return [];
  const where = file === null ? 'a configuration file' : file;
  const message = `no upstream to forward to; give one with --upstream http://neko:8080, WSKP_UPSTREAM, or upstream or routes in ${where}`;
  return [{ file: null, line: null, col: null, path: '', message }];
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** Whoever may write a PROXY head says whose connection it is: the default, which trusts all private networks, is too much for that. */
export function proxyProtocolProblems(input: Input): Problem[] {
  if (valueAt(input.tree, ['trusted_proxies']) !== undefined) return [];
  const message =
    'needs trusted_proxies to be written out: list the addresses of the balancers that write PROXY heads, such as trusted_proxies: [10.0.0.5]';
  return [{ ...input.locate(['proxy_protocol']), message }];
}

/** The certificates of `upstream_tls.ca` have to be there when the program starts, not when the first client comes. */
export function certificateProblems(config: Config, input: Input, readFile: ReadFile): Problem[] {
  const { ca } = config.upstream_tls;
  if (ca === 'system') return [];
  const at = input.locate(['upstream_tls', 'ca']);
  try {
    if (readFile(ca).includes('-----BEGIN CERTIFICATE-----')) return [];
    return [{ ...at, message: `${ca} holds no certificate in PEM form` }];
  } catch (error) {
    return [{ ...at, message: `cannot read ${ca}: ${failureReason(error)}; write system or the path of a PEM file` }];
  }
}

/** Problems of the file by line, before all others. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  const rank = ({ line, col }: Problem): number => (line === null ? Infinity : line * 1e6 + (col ?? 0));
  // Subtracting would give NaN for two problems without a line.
  return problems.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) < rank(b) ? -1 : 1));
}
