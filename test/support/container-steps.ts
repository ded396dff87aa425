/**
 * Performs the steps of the Dockerfile without a container engine: each stage becomes a folder. It knows what that file
 * uses and refuses the rest, so that a step it would do wrong cannot go unnoticed.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Milliseconds for one RUN. */
const STEP_PATIENCE = 120_000;

export interface Instruction {
  readonly keyword: string;
  readonly text: string;
}

/** What a container would be started with. */
export interface Image {
  /** The folder that stands for `/`. */
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  /** Instructions about running it, by keyword; the last one of a kind counts. */
  readonly config: ReadonlyMap<string, string>;
}

interface Stage {
  readonly name: string | null;
  readonly image: Image;
}

/** The instructions in order, with continued lines joined and comments left out. */
export function parseDockerfile(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line));
  const joined = lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  return joined
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, keyword = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
      if (keyword === '') throw new Error(`not an instruction: ${line}`);
      return { keyword, text: rest };
    });
}

/** The names that reach the builder: `.dockerignore` leaves out everything and names what comes back. */
export function parseDockerignore(text: string): Set<string> {
  const [first, ...others] = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (first !== '*' || others.some((line) => !/^![\w.-]+(?:\/[\w.-]+)*$/.test(line))) {
    throw new Error('.dockerignore has to leave out * first, and then name files with !');
  }
  return new Set(others.map((line) => line.slice(1)));
}

/**
 * Builds the image of the project at `context` inside `folder`.
 *
 * @param args build arguments, as `--build-arg` gives them
 */
export async function buildImage(
  context: string,
  folder: string,
  args: Readonly<Record<string, string>>,
): Promise<Image> {
  const instructions = parseDockerfile(await readFile(join(context, 'Dockerfile'), 'utf8'));
  const allowed = parseDockerignore(await readFile(join(context, '.dockerignore'), 'utf8'));
  const stages: Stage[] = [];
  for (const instruction of instructions) {
    if (instruction.keyword === 'FROM')
      stages.push(await startStage(instruction.text, join(folder, `${stages.length}`)));
    else if (stages.length > 0) await perform(instruction, stages, { context, allowed, args });
  }
  const last = stages.at(-1);
  if (last === undefined) throw new Error('no FROM');
  return last.image;
}

async function startStage(text: string, root: string): Promise<Stage> {
  await mkdir(root);
  const name = / AS (\S+)$/.exec(text)?.[1] ?? null;
  return { name, image: { root, workdir: '/', env: {}, config: new Map() } };
}

interface Context {
  readonly context: string;
  readonly allowed: ReadonlySet<string>;
  readonly args: Readonly<Record<string, string>>;
}

async function perform({ keyword, text }: Instruction, stages: Stage[], from: Context): Promise<void> {
  const stage = stages.at(-1) as Stage;
  const { image } = stage;
  const change = (changes: Partial<Image>): void =>
    void stages.splice(-1, 1, { ...stage, image: { ...image, ...changes } });
  switch (keyword) {
    case 'WORKDIR':
      await mkdir(join(image.root, text), { recursive: true });
      return change({ workdir: text });
    case 'ARG': {
      const [, name = '', value = ''] = /^(\w+)=(?:"(.*)"|.*)$/.exec(text) ?? [];
      return change({ env: { ...image.env, [name]: from.args[name] ?? value } });
    }
    case 'ENV': {
      const [, name = '', quoted, bare = ''] = /^(\w+)=(?:"(.*)"|(.*))$/.exec(text) ?? [];
      return change({ env: { ...image.env, [name]: quoted ?? bare } });
    }
    case 'COPY':
      return copy(text, stages, from);
    case 'RUN':
      return runStep(text, image);
    case 'USER':
    case 'EXPOSE':
    case 'LABEL':
    case 'STOPSIGNAL':
    case 'HEALTHCHECK':
    case 'ENTRYPOINT':
      return change({ config: new Map([...image.config, [keyword, text]]) });
    default:
      throw new Error(`${keyword} is not known here`);
  }
}

async function copy(text: string, stages: readonly Stage[], from: Context): Promise<void> {
  const { image } = stages.at(-1) as Stage;
  const [, source, list = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(text) ?? [];
  const paths = list.split(' ');
  const target = paths.pop() ?? '';
  const to = join(image.root, resolve(image.workdir, target));
  for (const path of paths) {
    if (path.endsWith('*')) {
      await copyMatches(path.slice(0, -1), to, from);
      continue;
    }
    const whole = source === undefined ? contextPath(path, from) : stagePath(path, source, stages);
    await cp(whole, target.endsWith('/') ? join(to, basename(path)) : to, { recursive: true, verbatimSymlinks: true });
  }
}

/** As builders do it: of a folder that fits its contents are copied. What .dockerignore lets through need not be there. */
async function copyMatches(prefix: string, to: string, { context, allowed }: Context): Promise<void> {
  const fitting = [...allowed].filter((name) => name.startsWith(prefix) && existsSync(join(context, name)));
  for (const name of fitting) {
    await cp(join(context, name), join(to, name.replace(/^[^/]+\//, '')), { recursive: true });
  }
}

function contextPath(path: string, { context, allowed }: Context): string {
  if (!allowed.has(path)) throw new Error(`.dockerignore leaves out ${path}`);
  return join(context, path);
}

function stagePath(path: string, name: string, stages: readonly Stage[]): string {
  const stage = stages.find((each) => each.name === name);
  if (stage === undefined) throw new Error(`no stage ${name}`);
  return join(stage.image.root, path);
}

async function runStep(command: string, { root, workdir, env }: Image): Promise<void> {
  // A folder is no root: an absolute path would leave it.
  if (/(?:^|[\s=>])\//.test(command)) throw new Error(`RUN ${command} names an absolute path`);
  // Whatever this process runs under, its npm settings are not those of a build. What was fetched before is not again.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_(?!config_(?!local_prefix))|NODE_|WSKP_)/.test(name),
  );
  await run('sh', ['-ec', command], {
    cwd: join(root, workdir),
    env: { ...Object.fromEntries(inherited), npm_config_prefer_offline: 'true', ...env },
    timeout: STEP_PATIENCE,
  });
}
