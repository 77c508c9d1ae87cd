const base = process.env.BASE;

/** The configuration of orval. */
export default {
  bpf: {
    input: `${base}/openapi.json`,
    output: { target: "../generated/orval/bpf.ts", client: "fetch", baseUrl: base },
  },
};
