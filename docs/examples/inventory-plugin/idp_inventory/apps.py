from django.apps import AppConfig


class InventoryConfig(AppConfig):
    name = "idp_inventory"

    def ready(self) -> None:
        from catalog.registry import register_source_kind
        from idp_inventory.source import Inventory

        register_source_kind(Inventory())
