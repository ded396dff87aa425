/** The library that passes plain HTTP on in this project, bare, with the kept connections it would have there. */
import { Agent } from 'node:http';
import httpProxy from 'http-proxy';
import { ports } from './arguments.ts';

const { listen, upstream } = ports();
const agent = new Agent({ keepAlive: true });
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${upstream}`, agent });
proxy.on('error', () => undefined);
proxy.listen(listen, '127.0.0.1');
