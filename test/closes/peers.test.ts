/** Every end that a peer brings about, row by row: what each side gets, and what is reported. */
import { test } from 'node:test';
import { PEER_ROWS } from '../support/close-cases.ts';
import { checkRow } from '../support/close-row.ts';

for (const row of PEER_ROWS) test(row.name, (t) => checkRow(t, row));
