# Node 22 is the last line with official images for arm/v7; the program itself runs on any Node from 20.19 on.
ARG NODE_IMAGE=node:22-alpine
# Which of the two health checks below the image gets. BuildKit fills in TARGETOS by itself, and the classic builder, which
# doesn't know --start-interval before Docker 25, leaves it empty. BuildKit of Docker 23 and 24: `--build-arg START_INTERVAL=`.
ARG START_INTERVAL=${TARGETOS}

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Named, because a NODE_ENV of the base image would leave the bundler and what it bundles out.
RUN npm ci --include=dev --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts scripts
COPY schema schema
COPY src src
RUN npm run build && chmod +x dist/main.js

# All but the optional package is in the bundle.
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && mkdir -p node_modules

FROM ${NODE_IMAGE} AS image
ARG VERSION=dev
ARG REVISION=unknown
ARG SOURCE_URL=
LABEL org.opencontainers.image.title="lazy-proxy" \
      org.opencontainers.image.description="On-demand TCP and UDP proxy: wakes sleeping containers for their first client" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE_URL}"
ENV NODE_ENV=production
WORKDIR /app
# Process 1 inherits whatever local processes leave behind, and has to take their ends; Node does that for no others' children.
RUN command -v tini >/dev/null || { command -v apk >/dev/null && apk add --no-cache tini; } \
  || { apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*; }
COPY --from=packages /app/package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/schema schema
COPY --from=build /app/dist dist
COPY LICENSE ./
# The status server. The services' own ports are whatever the configuration says.
EXPOSE 8080
# Root, because that is whom the engine's socket belongs to; any other user who may open the socket will do as well.
STOPSIGNAL SIGTERM
# `state_dir`. A new volume that is mounted there gets this owner and mode.
RUN mkdir -p -m 0700 /var/lib/lazy-proxy
# `docker exec … lazy-proxy validate`
RUN ln -s /app/dist/main.js /usr/local/bin/lazy-proxy
ENTRYPOINT ["tini", "-s", "--", "node", "/app/dist/main.js"]

# A builder reads what stands after ONBUILD only when a later stage is made from this one.
FROM image AS healthcheck
ONBUILD HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/main.js", "healthcheck"]

# During the start it is asked every second, so that whoever waits for a healthy proxy doesn't wait for 30 s.
FROM image AS healthcheck-start-interval
ONBUILD HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --start-interval=1s --retries=3 \
  CMD ["node", "/app/dist/main.js", "healthcheck"]

FROM healthcheck${START_INTERVAL:+-start-interval}
