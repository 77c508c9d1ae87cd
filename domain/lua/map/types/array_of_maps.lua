-- BPF_MAP_TYPE_ARRAY_OF_MAPS (kernel/bpf/arraymap.c)
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local inner_map = use("map/inner_map")

local function free(id)
  fd_array.clear("map", id)
end

map.register("array_of_maps", {
  alloc_check = fd_array.alloc_check, alloc = inner_map.alloc, lookup = fd_array.lookup,
  lookup_many = fd_array.lookup_many, update = fd_array.update, delete = fd_array.delete,
  next_key = arraymap.next_key, page = fd_array.page, entries = fd_array.entries, free = free, clear = free,
  fd_get_ptr = inner_map.fd_get_ptr, batch_kind = "slots", object_kind = "map",
  check_btf = map_btf.unsupported
})
