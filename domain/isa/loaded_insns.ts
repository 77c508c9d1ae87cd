/** Instructions as the caller gave them, before their maps are resolved. */
export interface LoadedInsns {
  insns: Buffer;
  /** Indexes of the instructions that name their map by its id; the others use an fd. */
  byId?: ReadonlySet<number>;
}
