/** http-proxy 1.18.1 as its own documentation shows it for WebSockets. */
import httpProxy from 'http-proxy-classic';
import { ports } from './arguments.ts';

const { listen, upstream } = ports();
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${upstream}`, ws: true });
proxy.on('error', () => undefined);
proxy.listen(listen, '127.0.0.1');
