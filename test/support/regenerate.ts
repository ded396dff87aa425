/** `npm run regenerate`: brings every text that is made from the code up to date. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from './documents.ts';
import { generatedFiles } from './generated.ts';

for (const { path, current, wanted } of generatedFiles()) {
  if (current === wanted) continue;
  writeFileSync(join(PROJECT, path), wanted);
  process.stdout.write(`${path}\n`);
}
