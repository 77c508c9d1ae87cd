# The service alone: it needs REDIS_URL (docker-compose.yml brings a Redis). It writes nothing but
# tsx's cache under /tmp, so it runs with a read-only root file system and a tmpfs on /tmp.
FROM node:20-bookworm-slim AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:20-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
WORKDIR /app
COPY --from=modules /app/node_modules ./node_modules
COPY package.json openapi.yaml ./
COPY domain ./domain
COPY api ./api
USER node
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--no-parallel-scavenge", "--import", "tsx", "api/server.ts"]
