/** Reads the arguments of a command. With `--help` it only says how it is used; what is wrong with them ends it with exit code 2. */
export function readArguments<T>(usage: string, read: (argv: readonly string[]) => T): T {
  const argv = process.argv.slice(2);
  if (argv.includes('--help')) {
    process.stdout.write(`Usage: ${usage}\n`);
    process.exit(0);
  }
  try {
    return read(argv);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\nUsage: ${usage}\n`);
    process.exit(2);
  }
}
