/** What every peer is started with: where to listen and whom to ask, both on 127.0.0.1. */
export function ports(): { readonly listen: number; readonly upstream: number } {
  const [listen, upstream] = process.argv.slice(2).map(Number);
  if (!listen || !upstream) throw new Error('usage: PEER LISTEN_PORT UPSTREAM_PORT');
  return { listen, upstream };
}
