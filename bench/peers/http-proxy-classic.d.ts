/** The part of http-proxy 1.18.1 that is used here. */
declare module 'http-proxy-classic' {
  import type { Server } from 'node:http';

  interface ClassicProxy {
    listen(port: number, host: string): ClassicProxy;
    on(event: 'error', listener: (error: Error) => void): ClassicProxy;
    readonly _server: Server;
  }
  const httpProxy: { createProxyServer(options: { target: string; ws: boolean }): ClassicProxy };
  export default httpProxy;
}
