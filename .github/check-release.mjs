/** check-release.mjs TAG OWNER/NAME: ends with 1 and says why when this must not be published under that tag from there. */
import { readFileSync } from 'node:fs';

const [tag, repository] = process.argv.slice(2);
const { version, repository: known } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const faults = [];
if (tag !== `v${version}`) faults.push(`the tag is ${tag}, and package.json says ${version}: tag v${version}, or change the version`);
if (known.url !== `git+https://github.com/${repository}.git`) {
  faults.push(`this is ${repository}, and package.json says ${known.url}: npm refuses a provenance that differs; change repository, homepage and bugs`);
}
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
