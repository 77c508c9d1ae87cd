-- The command that describes a node and lists a directory (kernel: fs/stat.c, fs/readdir.c).
local kernel = use("base/kernel")
local cred = use("base/cred")
local inode = use("fs/inode")
local namei = use("fs/namei")
local vfs = use("fs/vfs")

local READ = 4

-- name, kind in turn, and the cursor of the next page or false.
local function entries_of(node, ino, name, limit)
  local page = inode.readdir(node, ino, name, tonumber(limit))
  local more = #page > 2 * limit
  if more then page[#page], page[#page - 1] = nil, nil end
  local cursor = more and page[#page] .. " " .. page[#page - 1]
  for i = 2, #page, 2 do page[i] = inode.load(page[i]).kind end
  return page, cursor
end

--[[
  stat(2) or lstat(2), and getdents(2) of a directory (kernel: fs/stat.c, fs/readdir.c).

    Input:
      path
      follow     1: follow a symlink at the end
      entries    1: list a directory
      ino, name  the entry after which the page starts, 0 and "" for the first page
      limit      entries of a page
    Output:
      page  name, kind in turn; false when nothing is listed
      next  "ino name" for the next page, or false
      kind, mode, uid, gid, nlink, ino, object: the attributes of the node
    Errors:
      EACCES  follow is 1 and the mode denies reading; without follow the entries are left out
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function kernel.sys.stat(path, follow, entries, ino, name, limit)
  local node = namei.user_path_at(path, follow == "1")
  local page, more = false, false
  if node.kind == "directory" and entries == "1" then
    if follow == "1" then cred.check_access(node, READ, "reading the directory " .. path) end
    if cred.can_access(node, READ) then page, more = entries_of(node, ino, name, limit) end
  end
  return page, more, vfs.attributes(node)
end
