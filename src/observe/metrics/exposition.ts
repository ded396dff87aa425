/** The two formats in which metrics are read: Prometheus text, and OpenMetrics for whoever prefers it. */
import { Registry } from 'prom-client';

export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** @param accept the request's Accept field */
export async function expose(registry: Registry, accept: string | undefined): Promise<Exposition> {
  // prom-client writes JavaScript's words.
  const body = (await registry.metrics()).replaceAll(/ Nan$/gm, ' NaN');
  if (!prefersOpenMetrics(accept)) return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, body };
  return { contentType: Registry.OPENMETRICS_CONTENT_TYPE, body: toOpenMetrics(body) };
}

/**
 * Prometheus text as OpenMetrics 1.0: a counter's name is declared without `_total`, and the end is marked. (A registry
 * of prom-client that is switched to OpenMetrics renames its counters for good, so the next reader of plain text would
 * find other names.)
 */
function toOpenMetrics(body: string): string {
  const counters = new Set([...body.matchAll(/^# TYPE (\w+)_total counter$/gm)].map((match) => match[1]));
  const declared = body.replace(/^(# (?:HELP|TYPE) )(\w+)_total /gm, (line, start: string, name: string) =>
    counters.has(name) ? `${start}${name} ` : line,
  );
  return `${declared.replace(/\n{2,}/g, '\n')}# EOF\n`;
}

/** Whether an Accept field ranks OpenMetrics above plain text; without a field, or at equal rank, text it is. */
function prefersOpenMetrics(accept = ''): boolean {
  const ranges = accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return {
      type,
      version: parameters.find((parameter) => parameter.startsWith('version=')),
      quality: Number(quality ?? 1),
    };
  });
  const best = (wanted: (range: (typeof ranges)[number]) => boolean): number =>
    Math.max(0, ...ranges.filter(wanted).map(({ quality }) => (quality >= 0 ? quality : 0)));
  const isOpen = ({ type, version = 'version=1.0.0' }: (typeof ranges)[number]): boolean =>
    type === 'application/openmetrics-text' && version === 'version=1.0.0';
  return best(isOpen) > best(({ type }) => type === 'text/plain');
}
