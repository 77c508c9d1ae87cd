# The service alone: it needs REDIS_URL (docker-compose.yml brings a Redis). It writes no file, so it
# runs with a read-only root file system. Node runs the TypeScript as it is.
FROM node:24-bookworm-slim AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 NODE_COMPILE_CACHE=/app/.compile-cache
WORKDIR /app
COPY --from=modules /app/node_modules ./node_modules
COPY package.json openapi.yaml ./
COPY domain ./domain
COPY api ./api
RUN mkdir .compile-cache && chown node:node .compile-cache
USER node
# Modules are compiled once here, and not at each start.
RUN node -e 'import("./api/service.ts").then(() => process.exit())'
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--no-parallel-scavenge", "api/server.ts"]
