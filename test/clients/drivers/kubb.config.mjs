import { defineConfig } from "@kubb/core";
import { pluginClient } from "@kubb/plugin-client";
import { pluginOas } from "@kubb/plugin-oas";
import { pluginTs } from "@kubb/plugin-ts";

/** The configuration of Kubb. */
export default defineConfig({
  root: ".",
  input: { path: `${process.env.BASE}/openapi.json` },
  output: { path: "./generated/kubb", barrelType: "named", format: false, lint: false },
  plugins: [
    pluginOas({ generators: [] }),
    pluginTs({ output: { path: "models" } }),
    pluginClient({
      output: { path: "clients" },
      dataReturnType: "full",
      client: "fetch",
      bundle: true,
    }),
  ],
});
