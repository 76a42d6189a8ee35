# Guest images in one volume, from one table.

variable "volume" {
  type        = any
  description = "The volume that the images lie in, as `external_volume.main` or `module.pool.volume`."
}

variable "images" {
  type = map(object({
    size       = string
    format     = optional(string, "qcow2")
    name       = optional(string)
    allocation = optional(string)
    owner      = optional(string)
    group      = optional(string)
    mode       = optional(string)
  }))
  description = "The images by key. Each has a `size` as the guest sees it and may have a `format` (`qcow2`), a file `name` (`KEY.FORMAT`), an `allocation`, an `owner`, a `group` and a `mode`."
}

variable "owner" {
  type        = string
  default     = null
  description = "Owner of the images that name none; default: the volume's."
}

variable "group" {
  type        = string
  default     = null
  description = "Group of the images that name none; default: the volume's."
}

variable "mode" {
  type        = string
  default     = null
  description = "Mode of the images that name none; default: as for any image."
}

image "set" {
  for_each   = var.images
  volume     = var.volume
  name       = coalesce(each.value.name, "${each.key}.${each.value.format}")
  format     = each.value.format
  size       = each.value.size
  allocation = each.value.allocation
  owner      = each.value.owner == null ? var.owner : each.value.owner
  group      = each.value.group == null ? var.group : each.value.group
  mode       = each.value.mode == null ? var.mode : each.value.mode
}

output "images" {
  value       = image.set
  description = "The images by key."
}

output "paths" {
  value       = { for key, one in image.set : key => "${var.volume.mount_point}/${one.name}" }
  description = "Where each image is, by key."
}
