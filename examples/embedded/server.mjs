import { createApp } from 'ws-keepalive-proxy';

const proxy = createApp({
  config: {
    listen: process.env.LISTEN ?? '127.0.0.1:8081',
    upstream: process.env.UPSTREAM ?? 'http://127.0.0.1:8080',
    keepalive: { ping_interval: '5s' },
    admin: { listen: 'off' },
  },
});

await proxy.listen();
process.once('SIGTERM', () => void proxy.close());
