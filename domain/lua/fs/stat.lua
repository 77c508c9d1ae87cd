-- The command that describes a node and lists a directory (kernel: fs/stat.c, fs/readdir.c).
local kernel = use("base/kernel")
local cred = use("base/cred")
local paging = use("base/paging")
local inode = use("fs/inode")
local namei = use("fs/namei")
local vfs = use("fs/vfs")

local call = redis.call
local READ = 4

-- The kinds of the nodes of a page of readdir().
local function kinds_of(page)
  local keys = {}
  for i = 2, #page, 2 do keys[i / 2] = kernel.key("inode", page[i]) end
  local kinds = keys[1] and call("MGET", unpack(keys)) or {}
  for i, text in ipairs(kinds) do kinds[i] = text:match("^%a+") end
  return kinds
end

-- name, kind in turn, and "ino name" of the last entry looked at when there are more, or false.
local function entries_of(node, from, limit, kind)
  local kinds
  local matches = kind ~= "" and function(i) return kinds[i] == kind end
  limit = tonumber(limit)
  local found = inode.readdir(node, from.ino, from.name, paging.looks(limit, matches))
  kinds = kinds_of(found)
  local places, last = paging.select(#kinds, limit, matches)
  local page = {}
  for i, place in ipairs(places) do page[2 * i - 1], page[2 * i] = found[2 * place - 1], kinds[place] end
  return page, last and found[2 * last] .. " " .. found[2 * last - 1]
end

--[[
  stat(2) or lstat(2), and getdents(2) of a directory (kernel: fs/stat.c, fs/readdir.c).

    Input:
      path
      follow     1: follow a symlink at the end
      entries    1: list a directory
      ino, name  the entry after which the page starts, 0 and "" for the first page
      limit      entries of a page
      kind       list nodes of this kind alone, "" for all
    Output:
      page  name, kind in turn; false when nothing is listed
      last  "ino name" of the last entry looked at when there are more, or false
      kind, mode, uid, gid, nlink, ino, object: the attributes of the node
    Errors:
      EACCES  follow is 1 and the mode denies reading; without follow the entries are left out
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function kernel.sys.stat(path, follow, entries, ino, name, limit, kind)
  local node = namei.user_path_at(path, follow == "1")
  local page, more = false, false
  if node.kind == "directory" and entries == "1" then
    if follow == "1" then cred.check_access(node, READ, "reading the directory " .. path) end
    if cred.can_access(node, READ) then
      page, more = entries_of(node, { ino = ino, name = name }, limit, kind)
    end
  end
  return page, more, vfs.attributes(node)
end
