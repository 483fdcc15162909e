# The service and its tools, without what only the embedded mode needs: here PostgreSQL, Kafka and the processor are real ones.

FROM node:22.23.3-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# With the optional packages, because esbuild's program for this platform is one; so is the embedded PostgreSQL, of 60 MB. None is left
# after the build. No package needs its install script to be built.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY console console
RUN npm run build && npm prune --omit=dev --omit=optional --ignore-scripts

FROM node:22.23.3-bookworm-slim
# npm, which runs the tools, keeps no log and asks nobody for a newer self: the file system may be read-only.
ENV NODE_ENV=production NPM_CONFIG_LOGS_MAX=0 NPM_CONFIG_UPDATE_NOTIFIER=false NPM_CONFIG_CACHE=/tmp/npm
WORKDIR /app
# Where the mock processor's ledger is kept; a volume that is mounted here takes over whose it is.
RUN install -d -o node -g node .data
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY migrations migrations
COPY package.json LICENSE ./
# The image's user node; by number, because Kubernetes' runAsNonRoot looks behind no name.
USER 1000
EXPOSE 8000
# It tells whether the process lives; whether it can work, /readyz tells.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8000}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself, as `npm start` does: npm would not hand on SIGTERM.
CMD ["node", "--enable-source-maps", "--max-semi-space-size=64", "dist/main.js"]
