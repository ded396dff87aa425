# An LTS line, pinned by its major version: a rebuild takes in its fixes, and nothing else.
ARG NODE_MAJOR=24

# Once, on the machine that builds: what comes out of it is the same for every architecture. Builders name that machine themselves, but
# for Docker's classic one, to which "linux" means itself.
ARG BUILDPLATFORM=linux
FROM --platform=$BUILDPLATFORM node:${NODE_MAJOR}-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev --no-audit --no-fund
# What only readers of the sources need. Licences stay.
RUN find dist node_modules -type f \( -name "*.ts" -o -name "*.cts" -o -name "*.mts" -o -name "*.map" \) -delete
RUN find node_modules -depth -type d \( -name test -o -name tests -o -name __tests__ -o -name benchmarks \) -exec rm -r {} +
# Shown by --version and build_info: what the clone that is built from stands at, unless it is told. .gitignore is there for archives
# without .git: a COPY of nothing fails.
COPY .git* git/
ARG COMMIT=""
RUN ref=$(sed -n "s|^ref: ||p" git/HEAD || true); \
    commit=$(cat "git/${ref:-HEAD}" || sed -n "s|^\([0-9a-f]*\) $ref$|\1|p" git/packed-refs || true); \
    printf "%s\n" "${COMMIT:-$commit}" | cut -c 1-12 > dist/commit

FROM node:${NODE_MAJOR}-slim
LABEL org.opencontainers.image.title="ws-keepalive-proxy" \
      org.opencontainers.image.description="Keeps quiet WebSockets open: Pings towards the client, dead peers found, every close explained" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
# Half of the container's memory for JavaScript: sockets and the kernel's buffers need the rest. Small steps while many connect.
ENV NODE_OPTIONS="--max-old-space-size-percentage=50 --max-semi-space-size=4"
# glibc keeps what was freed for the next piece of a body instead of giving it back and faulting it in again, and in one place, not
# once for each thread (mallopt(3)).
ENV MALLOC_ARENA_MAX=1
ENV MALLOC_MMAP_THRESHOLD_=33554432
ENV MALLOC_TRIM_THRESHOLD_=67108864
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# A number, so that Kubernetes can see that it is not root. The program writes no file: a read-only root is fine.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# It asks the admin listener, which nothing outside the container reaches unless admin.listen says so. Whether the upstream lives is
# not asked: a restart would not help it. Where it would, use "healthcheck --ready".
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/main.js", "healthcheck"]
# As a list, so that no shell stands between the signals and the program.
ENTRYPOINT ["node", "/app/dist/main.js"]
