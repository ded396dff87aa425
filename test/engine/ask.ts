/** Goes the way of a browser: a page by HTTP, and words over a WebSocket and back. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

/** In ms: for one question, on a loaded machine. */
const PATIENCE = 10_000;

/** Rejects unless HTTP and a WebSocket are answered at this place. */
export async function askBoth(place: string): Promise<void> {
  await askHttp(place);
  await askWebSocket(place);
}

async function askHttp(place: string): Promise<void> {
  const answer = await fetch(`http://${place}/health`, { signal: AbortSignal.timeout(PATIENCE) });
  const text = await answer.text();
  if (answer.status !== 200 || text.trim() !== 'true')
    throw new Error(`/health at ${place}: ${answer.status} ${text.slice(0, 80)}`);
}

/** A room greets whoever comes in. */
async function askWebSocket(place: string): Promise<void> {
  const socket = new WebSocket(`ws://${place}/ws?password=neko&username=guest`);
  try {
    const [data] = (await once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE) })) as [Buffer];
    if (!data.toString().includes('"event":')) throw new Error(`unexpected greeting ${data.toString().slice(0, 80)}`);
  } finally {
    socket.terminate();
  }
}
