# syntax=docker/dockerfile:1

# An LTS line, pinned by its major version: a rebuild takes in its fixes, and nothing else.
ARG NODE_MAJOR=24

# Once, on the machine that builds: what comes out of it is the same for every architecture.
FROM --platform=$BUILDPLATFORM node:${NODE_MAJOR}-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev --no-audit --no-fund
# Shown by --version and build_info.
ARG COMMIT=""
RUN printf '%s\n' "$COMMIT" > dist/commit

FROM node:${NODE_MAJOR}-slim
LABEL org.opencontainers.image.title="ws-keepalive-proxy" \
      org.opencontainers.image.description="Keeps quiet WebSockets open: Pings towards the client, dead peers found, every close explained" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# A number, so that Kubernetes can see that it is not root. The program writes no file: a read-only root is fine.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# It asks the admin listener, which nothing outside the container reaches unless admin.listen says so.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/main.js", "healthcheck"]
# As a list, so that no shell stands between the signals and the program.
ENTRYPOINT ["node", "/app/dist/main.js"]
