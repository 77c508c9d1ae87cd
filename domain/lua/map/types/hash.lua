-- BPF_MAP_TYPE_HASH (kernel/bpf/hashtab.c)
local htab = use("htab")

local function alloc_check(attr)
  htab.alloc_check(attr, {})
end

return { alloc_check = alloc_check, alloc = htab.alloc, lookup = htab.lookup, many = htab.many,
  update = htab.update, take = htab.take, remove = htab.take, delete = htab.delete,
  next_key = htab.next_key, page = htab.page, entries = htab.entries, free = htab.free,
  applied_by = "htab_batch", batches = "table", locks = true }
