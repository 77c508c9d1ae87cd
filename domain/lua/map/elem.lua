-- Commands that change elements, each in the kernel's order: flags, fd, access, key, value, then the type.
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local elem_args = use("map/elem_args")
local if_match = use("map/if_match")

local sys = kernel.sys

--[[
  BPF_MAP_UPDATE_ELEM (kernel: map_update_elem()): writes an element.

    Input:
      fd     of the map
      key    bytes, "" for a map without keys
      value  bytes
      flags  BPF_ANY, BPF_NOEXIST or BPF_EXIST, with BPF_F_LOCK where values have locks
      match  conditions (if_match.lua), "" for none
    Output:
      revision  new revision of the map
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, a size is wrong, or flags has an unknown bit
      EPERM     the access of fd does not allow it; the map is frozen
      EFAULT    key is missing
      ESTALE    no tag matches
      EEXIST, ENOENT  flags do not allow it
      E2BIG     the map is full (ENOSPC for an lpm_trie), or an index is out of range
      EBADF, ENODEV, ENOMEM, EOVERFLOW, ENOTSUPP  as the type says of the value
]]
function sys.map_update_elem(fd, key, value, flags, match)
  local m = map_fd.get(fd, false, true)
  flags = map.check_op_flags(m, tonumber(flags))
  elem_args.check_key(m, key)
  elem_args.check_size("value", value, m.value_bytes)
  if match ~= "" then if_match.check(m, key, match) end
  m.ops.update(m, key, map.clear_locks(m, value), flags)
  return map.bump_revision(m)
end

--[[
  BPF_MAP_DELETE_ELEM (kernel: map_delete_elem()): removes an element.

    Input:
      fd     of the map
      key    bytes
      match  conditions (if_match.lua), "" for none
    Output:
      revision  new revision of the map
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, a size is wrong, or flags has an unknown bit
      EPERM     the access of fd does not allow it; the map is frozen
      EFAULT    key is missing
      ESTALE    no tag matches
      ENOENT    there is no such element
      E2BIG     the index is out of range
      ENOTSUPP, EOPNOTSUPP  the type has no deletion
]]
function sys.map_delete_elem(fd, key, match)
  local m = map_fd.get(fd, false, true)
  elem_args.check_key(m, key)
  if match ~= "" then if_match.check(m, key, match) end
  m.ops.delete(m, key)
  return map.bump_revision(m)
end

--[[
  BPF_MAP_LOOKUP_AND_DELETE_ELEM (kernel: map_lookup_and_delete_elem()): takes an element out.

    Input:
      fd     of the map
      key    bytes, "" for a queue or stack
      flags  0 or BPF_F_LOCK
      match  conditions (if_match.lua), "" for none
    Output:
      value     bytes
      revision  new revision of the map
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, a size is wrong, or flags has an unknown bit
      EPERM     the access of fd does not allow it; the map is frozen
      EFAULT    key is missing
      ENOTSUPP  the type does not support it
      ESTALE    no tag matches
      ENOENT    there is no such element
]]
function sys.map_lookup_and_delete_elem(fd, key, flags, match)
  flags = elem_args.lookup_flags(flags)
  local m = map_fd.get(fd, true, true)
  map.check_op_flags(m, flags)
  elem_args.check_key(m, key)
  if not m.ops.lookup_and_delete then
    kernel.fail("ENOTSUPP", "a " .. m.type .. " does not support lookup and delete")
  end
  if match ~= "" then if_match.check(m, key, match) end
  local taken = elem_args.found(m.ops.lookup_and_delete(m, key))
  return taken, map.bump_revision(m)
end
