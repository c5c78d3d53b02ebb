FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build

FROM node:24-bookworm-slim
ENV NODE_ENV=production
# The command line has everything bundled, and SQLite is in Node.js.
# Nothing is installed or started beside the app in here: what it stands on is configured.
ENV SWITCHBACK_NO_INSTALL=1
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/dist ./dist
# A named volume takes the owner of the directory that it is first mounted on.
RUN install -d -o node -g node /var/lib/switchback
ENV SWITCHBACK_CACHE_DIR=/var/lib/switchback
USER node
EXPOSE 3000 3002
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# What follows is the command: `start`, `control`, `guard`, `rollback`, ... No flags are in here.
ENTRYPOINT ["node", "/app/dist/cli/bin.js"]
CMD ["start"]
