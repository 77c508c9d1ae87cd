-- Commands that read elements, each in the kernel's order: flags, fd, access, key, value, then the type.
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local elem_args = use("map/elem_args")

local sys = kernel.sys

--[[
  BPF_MAP_LOOKUP_ELEM (kernel: map_lookup_elem()): answers the value of an element.

    Input:
      fd     of the map
      key    bytes, "" for a map without keys
      flags  0 or BPF_F_LOCK
      value  bytes that a Bloom filter is asked for, else ""
      touch  1: count as use by a program does, which the system call does not
    Output:
      value     bytes, without zeros at the end that were never written
      is_id     1 when the value is the id of an object, else 0
      revision  of the map
      size      bytes of the value with its zeros
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, a size is wrong, or flags has an unknown bit
      EPERM     the access of fd does not allow it
      EFAULT    key or value is missing
      ENOENT    there is no such element
      ENOTSUPP  the type has no lookup
]]
function sys.map_lookup_elem(fd, key, flags, value, touch)
  flags = elem_args.lookup_flags(flags)
  local m = map_fd.get(fd, true, false)
  map.check_op_flags(m, flags)
  elem_args.check_key(m, key)
  if m.ops.lookup_by_value and value ~= "" then elem_args.check_size("value", value, m.value_bytes) end
  local there = elem_args.found((m.ops.lookup_trimmed or m.ops.lookup)(m, key, value ~= "" and value or nil))
  if touch == "1" and m.ops.touch then
    kernel.need_writes()
    m.ops.touch(m, key)
  end
  return there, elem_args.is_id(m), map.revision(m), m.value_bytes
end

--[[
  BPF_MAP_GET_NEXT_KEY (kernel: map_get_next_key()): answers the key after this one.

    Input:
      fd   of the map
      key  bytes, "" for the first key
    Output:
      key  bytes
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, a size is wrong, or flags has an unknown bit
      EPERM     the access of fd does not allow it
      ENOENT    the key is the last one, or the map is empty
      ENOTSUPP, EOPNOTSUPP  the type has no keys
]]
function sys.map_get_next_key(fd, key)
  local m = map_fd.get(fd, true, false)
  if key ~= "" then elem_args.check_key(m, key) end
  return elem_args.found(m.ops.next_key(m, key ~= "" and key or nil), "there is no key after this one")
end
