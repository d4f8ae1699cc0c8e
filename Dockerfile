# One image for every role. By itself it is a gateway; docker-compose.yml starts the other apps and the command line from it.
# nats-server is not in it: that is a container of its own.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS manifest
WORKDIR /app
# To install from a mirror of the npm registry: --build-arg NPM_CONFIG_REGISTRY=…, --secret id=ca,src=ca.pem
ARG NPM_CONFIG_REGISTRY
ENV NPM_CONFIG_CACHE=/tmp/npm NPM_CONFIG_UPDATE_NOTIFIER=false
COPY package.json package-lock.json .npmrc ./

FROM manifest AS build
# Nothing is compiled at install time: native code arrives inside the packages.
RUN --mount=type=cache,target=/tmp/npm,sharing=locked --mount=type=secret,id=ca \
    if [ -e /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY libs libs
COPY apps apps
RUN npm run build && chmod +x dist/apps/cli/src/main.js

FROM manifest AS production
# Then goes what is never loaded here: the compiler, which is an optional peer of @nestjs/swagger; libsql for musl; the
# embedded nats-server; types and maps.
RUN --mount=type=cache,target=/tmp/npm,sharing=locked --mount=type=secret,id=ca \
    if [ -e /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    npm ci --ignore-scripts --omit=dev && \
    rm -rf node_modules/typescript node_modules/@libsql/*-musl node_modules/@eplightning && \
    find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete

FROM ${NODE_IMAGE}
# Owned by root: what runs here can't change what runs here.
WORKDIR /app
COPY --from=production /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
RUN ln -s /app/dist/apps/cli/src/main.js /usr/local/bin/runledger && \
    install -d -o 1000 -g 1000 /var/lib/runledger /workspace /config && \
    install -d -o 1000 -g 1000 -m 700 /keys/provisioner /keys/gateway /keys/executor /keys/projector /keys/operator /keys/observer
ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps RUNLEDGER_HOME=/var/lib/runledger RUNLEDGER_ROOTS=/workspace
# By number, so that an orchestrator can see that it is not root. The base image names this user node.
USER 1000:1000
WORKDIR /workspace
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "/app/dist/apps/health/src/main.js", "gateway"]
CMD ["node", "/app/dist/apps/gateway/src/main.js"]
