"""harken teaches multimodal models what people prefer."""
