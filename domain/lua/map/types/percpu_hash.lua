-- BPF_MAP_TYPE_PERCPU_HASH (kernel/bpf/hashtab.c): a value holds one for each CPU.
local map = use("map/map")
local map_btf = use("map/map_btf")
local htab = use("map/hash/htab")
local htab_batch = use("map/hash/htab_batch")

local function alloc_check(attr)
  htab.alloc_check(attr, { is_percpu = true })
end

map.register("percpu_hash", {
  alloc_check = alloc_check, alloc = htab.alloc, lookup = htab.lookup,
  lookup_many = htab.lookup_many, update = htab.update, lookup_and_delete = htab.lookup_and_delete,
  remove = htab.lookup_and_delete, delete = htab.delete, next_key = htab.next_key, page = htab.page,
  entries = htab.entries, free = htab.free, apply = htab_batch.apply, batch_kind = "table",
  is_percpu = true,
  special_fields = map_btf.POINTERS
})
