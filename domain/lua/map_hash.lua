-- BPF_MAP_TYPE_HASH (kernel/bpf/hashtab.c)
local htab = use("htab")

local function alloc_check(attr)
  htab.alloc_check(attr, {})
end

return { alloc_check = alloc_check, alloc = htab.alloc, lookup = htab.lookup, update = htab.update,
  take = htab.take, remove = htab.take, delete = htab.delete, next_key = htab.next_key,
  page = htab.page, entries = htab.entries, free = htab.free, batches = use("htab_batch"),
  locks = true }
