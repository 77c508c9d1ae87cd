-- BPF_MAP_TYPE_PROG_ARRAY (kernel/bpf/arraymap.c): slots that tail calls go through.
-- Invariant: with the last user reference every slot is emptied (c9da161c65), which is what lets
-- cycles of programs and arrays be freed.
local map = use("map/map")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local fd_table = use("file/fd_table")
local refcount = use("base/refcount")

local function alloc() end

local function check_compatible(m, owner)
  if not fd_array.is_compatible(m, owner) then
    map.einval("prog_array " .. m.id .. " belongs to programs of another type")
  end
end

local function fd_get_ptr(m, fd)
  local f = fd_table.fget_kind(fd, "prog")
  check_compatible(m, refcount.kinds.prog.owner(f.id))
  return f.id
end

local function free(id)
  fd_array.clear("prog", id)
end

-- prog_array_map_clear()
local function release_uref(m)
  map.bump_revision(m)
  free(m.id)
end

map.register("prog_array", {
  alloc_check = fd_array.alloc_check, alloc = alloc, lookup = fd_array.lookup,
  lookup_many = fd_array.lookup_many, update = fd_array.update, delete = fd_array.delete,
  next_key = arraymap.next_key, page = fd_array.page, entries = fd_array.entries,
  release_uref = release_uref, free = free, check_compatible = check_compatible,
  fd_get_ptr = fd_get_ptr, object_kind = "prog", is_never_inner = true
})
