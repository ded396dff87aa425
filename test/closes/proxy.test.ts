/** Every end that the proxy brings about, row by row: what each side gets, and what is reported. */
import { test } from 'node:test';
import { PROXY_ROWS } from '../support/close-limits.ts';
import { checkRow } from '../support/close-row.ts';

for (const row of PROXY_ROWS) test(row.name, (t) => checkRow(t, row));
