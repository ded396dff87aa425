/** Every end with megabytes under way, row by row: what each side gets, and what is reported. */
import { test } from 'node:test';
import { QUEUE_ROWS } from '../support/close-queues.ts';
import { checkRow } from '../support/close-row.ts';

for (const row of QUEUE_ROWS) test(row.name, (t) => checkRow(t, row));
