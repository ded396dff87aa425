/** `npm run soak`: exit code 0 when nothing was wrong. */
import { Scope } from '../support/scope.ts';
import { readArguments } from '../support/usage.ts';
import { parseOptions, USAGE } from './options.ts';
import { soak } from './soak.ts';
import { faultsOf, summary } from './verdict.ts';

const options = readArguments(USAGE, parseOptions);
const scope = new Scope();
process.stdout.write(`seed ${options.seed}\n`);
try {
  const result = await soak(scope, options, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`\n${summary(result, options.seed)}`);
  process.exitCode = faultsOf(result).length === 0 ? 0 : 1;
} finally {
  await scope.undo();
}
