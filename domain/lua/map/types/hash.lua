-- BPF_MAP_TYPE_HASH (kernel/bpf/hashtab.c)
local map = use("map/map")
local htab = use("map/htab")
local htab_batch = use("map/htab_batch")

local function alloc_check(attr)
  htab.alloc_check(attr, {})
end

map.register("hash", {
  alloc_check = alloc_check, alloc = htab.alloc, lookup = htab.lookup, many = htab.many,
  update = htab.update, take = htab.take, remove = htab.take, delete = htab.delete,
  next_key = htab.next_key, page = htab.page, entries = htab.entries, free = htab.free,
  apply = htab_batch.apply, batches = "table", locks = true
})
