-- Commands that list objects by id.
local kernel = use("base/kernel")
local work_list = use("base/work_list")
local refcount = use("base/refcount")
local cred = use("base/cred")
local paging = use("base/paging")

local sys = kernel.sys
local kinds = refcount.kinds
-- The most that one call lists; the page says that there is more.
local PAGE = 200
local INT_MAX = 2147483647

-- A filter by type and name, "" for any of them; nil for no filter. BTF objects have neither.
local function filter(kind, type, name)
  if kinds[kind].floor then return function(id) return refcount.is_held(kind, id) end end
  local wanted = type ~= "" and kinds[kind].type_of(type)
  if wanted == nil then
    kernel.fail("EINVAL", "must be the name or number of a type, got " .. type, kind .. "_type")
  end
  if not wanted and name == "" then return nil end
  return function(id)
    local own_type, own_name = kinds[kind].identify(id)
    return (not wanted or own_type == wanted) and paging.is_like(own_name, name)
  end
end

local function list(kind, start, limit, type, name)
  if tonumber(start) >= INT_MAX then
    kernel.fail("EINVAL", "must be < " .. INT_MAX .. ", got " .. start, "start_id")
  end
  local matches = filter(kind, type, name)
  cred.need_admin("listing " .. kind .. "s")
  work_list.need_released()
  limit = math.min(tonumber(limit), PAGE)
  local page, last = paging.select_ids(kernel.key("ids:" .. kind), start, limit, matches)
  for i, id in ipairs(page) do page[i] = { id, kinds[kind].info(id, true) } end
  return page, last
end

--[[
  BPF_MAP_GET_NEXT_ID over and over (kernel: bpf_obj_get_next_id()): lists maps by id.

    Input:
      start  list ids greater than this
      limit  maps of a page
      type   list maps of this type alone, a name or a number; "" for all
      name   list maps with this name alone, with * at its end those whose name begins so; "" for all
    Output:
      page  { id, info } of each, info in the order of uapi.MAP_INFO
      last  last id looked at when there are more, or false
    Errors:
      EINVAL  start is INT_MAX or more, or the type is unknown
      EPERM   the caller lacks CAP_SYS_ADMIN
]]
function sys.map_get_next_id(...) return list("map", ...) end

--[[
  BPF_PROG_GET_NEXT_ID over and over (kernel: bpf_obj_get_next_id()): lists programs by id.

    Input:
      start  list ids greater than this
      limit  programs of a page
      type   list programs of this type alone, a name or a number; "" for all
      name   list programs with this name alone, with * at its end those whose name begins so; "" for all
    Output:
      page  { id, info } of each, info in the order of uapi.PROG_INFO
      last  last id looked at when there are more, or false
    Errors:
      EINVAL  start is INT_MAX or more, or the type is unknown
      EPERM   the caller lacks CAP_SYS_ADMIN
]]
function sys.prog_get_next_id(...) return list("prog", ...) end

--[[
  BPF_BTF_GET_NEXT_ID over and over (kernel: bpf_obj_get_next_id()): lists BTF objects by id.

    Input:
      start  list ids greater than this
      limit  BTF objects of a page
    Output:
      page  { id, info } of each, info in the order of uapi.BTF_INFO
      last  last id looked at when there are more, or false
    Errors:
      EINVAL  start is INT_MAX or more
      EPERM   the caller lacks CAP_SYS_ADMIN
]]
function sys.btf_get_next_id(...) return list("btf", ...) end
